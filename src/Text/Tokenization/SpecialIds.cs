namespace LlamaCluster.Text.Tokenization;

/// <summary>The ids that a model gives a meaning of their own.</summary>
sealed record SpecialIds
{
    public int? Bos { get; init; }

    public int? Eos { get; init; }

    /// <summary>Generation stops after any of them.</summary>
    public IReadOnlySet<int> Stops { get; init; } = new HashSet<int>();

    /// <summary>What the model asks for in front of a text: bos, or nothing.</summary>
    public int[] Before { get; init; } = [];

    /// <summary>What the model asks for after a text: usually nothing.</summary>
    public int[] After { get; init; } = [];
}
