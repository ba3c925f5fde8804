using static LlamaCluster.Coordinator.OptionRange;

namespace LlamaCluster.Coordinator;

/// <summary>What looks at prompts and answers; nothing does by default.</summary>
public sealed record FilterOptions
{
    /// <summary>
    /// A server with Llama Guard 3 that speaks OpenAI's API, such as another LlamaCluster: it judges prompts and answers. Null, the default: nobody does.
    /// </summary>
    public Uri? Guard { get; init; }

    /// <summary>Codes of Llama Guard 3's categories.</summary>
    public static IReadOnlyList<string> AllGuardCategories { get; } = [.. Enumerable.Range(1, 14).Select(number => $"S{number}")];

    /// <summary>Codes of the categories that the guard is asked about. Default: all.</summary>
    public IReadOnlyList<string> GuardCategories { get; init; } = [];

    /// <summary>A program that gets each window of an answer's text by HTTP, and lets it through, blocks or replaces it. Null, the default: none.</summary>
    public Uri? OutputFilter { get; init; }

    /// <summary>What could not be judged is let through. Default false: the request ends with an error.</summary>
    public bool FailsOpen { get; init; }

    /// <summary>For one verdict. Default 10 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Characters of a stream that are held back and judged together. Default 400.</summary>
    public int Window { get; init; } = 400;

    /// <summary>The first wrong value, in one line; null if there is none.</summary>
    public string? FirstProblem() =>
        Problem("--filter-timeout", Timeout) ?? Problem("--filter-window", Window, 1, 1_000_000)
        ?? (GuardCategories.FirstOrDefault(code => !AllGuardCategories.Contains(code)) is { } unknown
            ? $"--guard-categories has '{unknown}'; there are {string.Join(", ", AllGuardCategories)}" : null);
}
