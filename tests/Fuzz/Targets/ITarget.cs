namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>A part of the product that reads what strangers made.</summary>
interface ITarget : IDisposable
{
    /// <summary>Input that is right, to begin with.</summary>
    IReadOnlyList<byte[]> Seeds { get; }

    /// <summary>Pieces that input is made of: keywords, marks, numbers.</summary>
    IReadOnlyList<string> Words { get; }

    /// <summary>Has the product read an input. Whatever it throws is a fault: refusals that are due are caught here, and checked.</summary>
    void Run(byte[] input);
}

/// <summary>What targets share.</summary>
static class Refusals
{
    /// <summary>A refusal is one line.</summary>
    public static void Check(Exception refusal)
    {
        if (refusal.Message.Length == 0 || refusal.Message.Any(char.IsControl))
            throw new InvalidOperationException($"not one line: '{refusal.Message}'", refusal);
    }
}
