global using OpenedParts = System.ValueTuple<
    System.Collections.Generic.IReadOnlyList<byte[]>, System.Collections.Generic.IReadOnlyList<byte[]>, System.Action<byte[]>, System.IDisposable>;

namespace LlamaCluster.Fuzz.Tests.Campaigns;

/// <summary>A target that is ready to be tried.</summary>
sealed class OpenTarget(OpenedParts parts) : IDisposable
{
    /// <summary>Input that is right, to begin with.</summary>
    public IReadOnlyList<byte[]> Seeds => parts.Item1;

    /// <summary>Pieces that input is made of.</summary>
    public IReadOnlyList<byte[]> Words => parts.Item2;

    /// <summary>Tries one input. It throws what is a fault of the product.</summary>
    public void Run(byte[] input) => parts.Item3(input);

    public void Dispose() => parts.Item4.Dispose();
}
