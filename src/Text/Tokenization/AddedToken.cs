namespace LlamaCluster.Text.Tokenization;

/// <summary>A token that is cut out of the text, as it is written, before anything else is done to the text.</summary>
sealed record AddedToken(int Id, string Written)
{
    /// <summary>A control token: recognised only where asked for.</summary>
    public required bool IsSpecial { get; init; }

    /// <summary>Takes the white space before it with it.</summary>
    public bool StripsLeft { get; init; }

    /// <summary>Takes the white space after it with it.</summary>
    public bool StripsRight { get; init; }

    /// <summary>Recognised only where no letter, digit, mark or low line stands beside it.</summary>
    public bool SingleWord { get; init; }
}
