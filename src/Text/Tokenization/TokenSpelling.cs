namespace LlamaCluster.Text.Tokenization;

/// <summary>How a vocabulary file writes down the bytes that a normal token stands for.</summary>
enum TokenSpelling
{
    /// <summary>One printable character for each byte (GPT-2, Llama 3): see <see cref="ByteAlphabet"/>.</summary>
    ByteLevel,

    /// <summary>UTF-8 in which U+2581 stands for a space (SentencePiece, Llama 1 and 2).</summary>
    SentencePiece,

    /// <summary>UTF-8 as it is.</summary>
    Plain,
}
