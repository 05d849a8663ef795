"""Teaching models: data in, a model and its card out, judged before and after."""
