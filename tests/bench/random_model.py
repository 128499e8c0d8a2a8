"""Random models of given shapes for the benchmarks, the same for transformers and CTranslate2."""
import os
import random
import shutil

SHAPES = {
    # d_model, layers a side, heads, ffn_dim, vocabulary, positions
    "A": (256, 3, 4, 1024, 8000, 256),
    "B": (512, 6, 8, 2048, 32000, 256),
    "nllb-600m": (1024, 12, 16, 4096, 256206, 1024),
}


def vocabulary(size):
    return ["<s>", "<pad>", "</s>", "<unk>"] + [f"t{i}" for i in range(4, size)]


def sources(n, vocab):
    """Sentences of 10 to 40 ids, the end mark last."""
    rng = random.Random(1)
    return [[rng.randrange(10, vocab) for _ in range(rng.randint(10, 40) - 1)] + [2] for _ in range(n)]


class Tokenizer:
    """The little that the converter asks of a tokenizer; a trained one is not needed."""
    additional_special_tokens = []
    special_tokens_map = {}
    sep_token = None
    bos_token, pad_token, eos_token, unk_token = "<s>", "<pad>", "</s>", "<unk>"
    bos_token_id, pad_token_id, eos_token_id, unk_token_id = 0, 1, 2, 3

    def __init__(self, size):
        self.names = vocabulary(size)

    def get_vocab(self):
        return {t: i for i, t in enumerate(self.names)}

    def convert_ids_to_tokens(self, i):
        return self.names[i]


def build(shape, work, kinds=("float32",)):
    """A random model as transformers writes it, and in each `kind` for CTranslate2.

    Returns the directory of the one, and that which holds a directory for each of the others.
    Both are made once.
    """
    hf, ct2 = os.path.join(work, shape), os.path.join(work, f"{shape}-ct2")
    left = [k for k in kinds if not os.path.exists(os.path.join(ct2, k, "model.bin"))]
    if not left:
        return hf, ct2
    import ctranslate2.converters.transformers as converters
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    d, layers, heads, ffn, vocab, positions = SHAPES[shape]
    torch.manual_seed(7)
    model = M2M100ForConditionalGeneration(M2M100Config(
        vocab_size=vocab, d_model=d, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=ffn,
        decoder_ffn_dim=ffn, max_position_embeddings=positions, scale_embedding=True)).eval()
    model.save_pretrained(hf)
    for kind in left:
        with torch.no_grad():
            spec = converters.M2M100Loader()(model, Tokenizer(vocab))
        spec.validate()
        spec.optimize(quantization=None if kind == "float32" else kind)
        out = os.path.join(ct2, kind)
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        spec.save(out)
        del spec
    return hf, ct2
