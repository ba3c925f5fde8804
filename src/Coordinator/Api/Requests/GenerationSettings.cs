using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>What chat and plain completions say alike about how to generate; every field is within its range.</summary>
sealed record GenerationSettings
{
    /// <summary>All but the seed, which each choice has its own.</summary>
    public required SamplingOptions Sampling { get; init; }

    /// <summary>The first choice's seed; null: each choice draws one.</summary>
    public long? Seed { get; init; }

    /// <summary>Choices per prompt (n).</summary>
    public int Choices { get; init; } = 1;

    /// <summary>Null: as many as the context has room for.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Name of the field that gave <see cref="MaxTokens"/>, for errors.</summary>
    public string MaxTokensField { get; init; } = "max_tokens";

    /// <summary>Texts that end a choice and are not part of it.</summary>
    public IReadOnlyList<string> Stops { get; init; } = [];

    /// <summary>Ids that end a choice.</summary>
    public IReadOnlySet<int> StopIds { get; init; } = new HashSet<int>();

    /// <summary>The lower, the earlier.</summary>
    public int Priority { get; init; }

    /// <summary>The client's own user on whose behalf it asks.</summary>
    public string? User { get; init; }

    /// <summary>KV is shared with requests of the same salt only.</summary>
    public string CacheSalt { get; init; } = "";

    public bool Stream { get; init; }

    /// <summary>A stream ends with a chunk that has the usage.</summary>
    public bool IncludeUsage { get; init; }
}
