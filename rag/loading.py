"""From settings to the models: which class reads what a setting names."""

from __future__ import annotations

from rag.ports import Embedder, Generator, Reranker, Selector
from rag.settings import Settings


def build_embedder(settings: Settings) -> Embedder:
    """Cheap until the first embed(): weights load lazily."""
    if settings.fakes:
        from rag.fakes import HashEmbedder

        return HashEmbedder()
    from rag.models.embed import SentenceEmbedder
    from rag.models.resolve import resolve_embedder

    models = settings.models
    return SentenceEmbedder(
        resolve_embedder(models.embedder), models.device, models.threads, models.batch_size, models.embedder_dtype
    )


def build_generator(settings: Settings) -> Generator:
    """A local model, or a client when models.api_url is set. Raises ModelMissing."""
    if settings.fakes:
        from rag.fakes import ScriptedGenerator

        return ScriptedGenerator()
    models = settings.models
    if models.api_url:
        from rag.models.api import ApiGenerator

        return ApiGenerator(models.api_url, models.generator, models.api_key)
    from rag.models.generate import TransformersGenerator
    from rag.models.resolve import resolve_adapter, resolve_generator

    folder = resolve_generator(models.generator, settings.home)
    adapter = resolve_adapter(models.adapter, models.generator, settings.home)
    return TransformersGenerator(
        folder, adapter, models.dtype, models.device, models.threads, models.prefix_cache, models.prompt_lookup
    )


def build_reranker(settings: Settings, embedder: Embedder) -> Reranker | None:
    """What models.reranker names, loaded: a wrong one is told at the start. Raises ModelMissing, ModelFailed."""
    from rag.models.rerank import LATE, CrossEncoderReranker, LateInteractionReranker
    from rag.models.resolve import resolve_reranker

    models = settings.models
    if not models.reranker:
        return None
    reranker: Reranker
    if models.reranker == LATE:
        reranker = LateInteractionReranker(embedder)
    else:
        folder, tokens = resolve_reranker(models.reranker), settings.retrieve.rerank_tokens
        reranker = CrossEncoderReranker(folder, models.device, models.threads, tokens, models.batch_size, models.embedder_dtype)
    reranker.load()
    return reranker


def build_selector(settings: Settings) -> Selector | None:
    """What models.selector names; weights load at the first question. Raises ModelMissing, ModelFailed."""
    models = settings.models
    if settings.fakes or not models.selector:
        return None
    from rag.models.resolve import resolve_selector
    from rag.models.selector import SentenceSelector

    return SentenceSelector(
        resolve_selector(models.selector, settings.home), models.device, models.threads, models.embedder_dtype
    )
