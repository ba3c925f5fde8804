using System.Diagnostics.CodeAnalysis;

namespace LlamaCluster.Sessions.Tests.Storage;

/// <summary>A grain's state without the grain.</summary>
sealed class Stored<T> : IGrainState<T> where T : new()
{
    [AllowNull] public T State { get; set; } = new();

    public string? ETag { get; set; }

    public bool RecordExists { get; set; }
}
