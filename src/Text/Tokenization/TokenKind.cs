namespace LlamaCluster.Text.Tokenization;

/// <summary>What a token of a vocabulary is for. The numbers are those of GGUF's <c>tokenizer.ggml.token_type</c> and of SentencePiece.</summary>
enum TokenKind : byte
{
    /// <summary>There is no token of this id.</summary>
    None = 0,

    /// <summary>A piece of text.</summary>
    Normal = 1,

    /// <summary>Stands for what a vocabulary cannot express; never produced here, since every byte has a token.</summary>
    Unknown = 2,

    /// <summary>A mark such as bos or end of turn: recognised in text only where asked for, and not part of the text a user sees.</summary>
    Control = 3,

    /// <summary>Text that is always one token, cut out before anything else.</summary>
    UserDefined = 4,

    /// <summary>Fills up a vocabulary; never produced and without text.</summary>
    Unused = 5,

    /// <summary>One raw byte, written <c>&lt;0x0A&gt;</c>.</summary>
    Byte = 6,
}
