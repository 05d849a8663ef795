"""Models of a few kilobytes with random weights, in the same form on disk as real ones."""

from __future__ import annotations

from pathlib import Path

CORPUS = [
    "How long does the battery last? It lasts 12 hours.",
    "Returns are free within 30 days.",
    "The price is 49.90 EUR.",
] * 20
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_llama(
    folder: Path,
    hidden: int = 32,
    seed: int = 0,
    template: str | None = TEMPLATE,
    sliding_window: int | None = None,
    layers: int = 2,
) -> Path:
    """A Llama (a Mistral if there is a window) with a byte-level BPE tokenizer: three tokens a Chinese character."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", chat_template=template)
    torch.manual_seed(seed)
    shape = dict(
        vocab_size=len(fast),
        hidden_size=hidden,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.5,  # wide, so that the greedy choices differ from step to step
        eos_token_id=fast.eos_token_id,
    )
    model = (
        MistralForCausalLM(MistralConfig(**shape, sliding_window=sliding_window))
        if sliding_window
        else LlamaForCausalLM(LlamaConfig(**shape))
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def make_adapter(base: Path, folder: Path, seed: int = 1) -> Path:
    """A LoRA adapter whose matrices are far from zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


def make_bert(folder: Path, hidden: int = 16, window: int = 24, layers: int = 1) -> Path:
    """A sentence-transformers model with mean pooling and normalised vectors."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_truncation(window)  # as published models have it; count() must not be cut by it
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder / "bert")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder / "bert")
    words = Transformer(str(folder / "bert"), max_seq_length=window)
    model = SentenceTransformer(modules=[words, Pooling(hidden, "mean"), Normalize()], device="cpu")
    model.save(str(folder / "model"))
    return folder / "model"


def make_reranker(folder: Path, labels: int = 1) -> Path:
    """A cross-encoder over make_bert's encoder, in `folder`, as it would be published."""
    import torch
    from sentence_transformers import CrossEncoder

    make_bert(folder)
    torch.manual_seed(0)
    CrossEncoder(str(folder / "bert"), num_labels=labels, max_length=24, device="cpu").save(str(folder / "reranker"))
    return folder / "reranker"
