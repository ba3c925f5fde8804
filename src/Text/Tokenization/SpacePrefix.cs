namespace LlamaCluster.Text.Tokenization;

/// <summary>Where a SentencePiece vocabulary puts a space that the text does not have, so that its first word looks like any other.</summary>
enum SpacePrefix
{
    Never,

    /// <summary>At the start of the text, unless it starts with an added token.</summary>
    TextStart,

    /// <summary>At the start of the text and after each added token.</summary>
    EachSegment,
}
