using System.Globalization;

namespace LlamaCluster.Coordinator.Api.Keys;

/// <summary>What a key may use; null: as much as there is.</summary>
/// <param name="RequestsPerMinute">Requests; those that only read (GET, HEAD) are free.</param>
/// <param name="TokensPerMinute">Tokens of prompts and answers together.</param>
/// <param name="Concurrent">Requests at a time.</param>
/// <param name="PriorityFloor">The earliest priority that its requests get.</param>
public sealed record KeyLimits(int? RequestsPerMinute = null, int? TokensPerMinute = null, int? Concurrent = null, int? PriorityFloor = null)
{
    public const string RequestsWord = "requests-per-minute";
    public const string TokensWord = "tokens-per-minute";
    public const string ConcurrentWord = "concurrent";
    public const string PriorityWord = "priority-floor";

    public static KeyLimits None { get; } = new();

    /// <summary>For people.</summary>
    public static string Words => $"{RequestsWord}, {TokensWord}, {ConcurrentWord}, {PriorityWord}";

    /// <summary>Whether requests of the key are counted.</summary>
    public bool AreCounted => RequestsPerMinute is not null || TokensPerMinute is not null || Concurrent is not null;

    /// <summary>The priority that a request gets that asked for another.</summary>
    public int Raise(int asked) => Math.Max(asked, PriorityFloor ?? int.MinValue);

    /// <summary>Reads words such as "concurrent=8", in any order.</summary>
    /// <param name="problem">As the second half of a sentence. Words that are none of these are not repeated: they may be secrets.</param>
    public static KeyLimits? Read(IEnumerable<string> words, out string problem)
    {
        var limits = None;
        problem = "";
        foreach (var word in words)
        {
            var (name, written) = word.IndexOf('=') is > 0 and var end ? (word[..end], word[(end + 1)..]) : ("", "");
            if (name is not (RequestsWord or TokensWord or ConcurrentWord or PriorityWord))
                problem = $"has something behind the hash that is none of its limits; there are {Words}";
            else if (limits.Of(name) is not null) problem = $"has {name} twice";
            else if (ValueProblem(name, written, out var value) is { } wrong) problem = $"has {name}={(written.Length <= 16 ? written : "...")}; {wrong}";
            else limits = limits.With(name, value);
            if (problem.Length > 0) return null;
        }
        return limits;
    }

    /// <summary>Why a number is no such limit, as the second half of a sentence; null if it is.</summary>
    public static string? ValueProblem(string name, string written, out int value)
    {
        var least = name == PriorityWord ? int.MinValue : 1;
        return int.TryParse(written, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value) && value >= least
            ? null
            : $"it must be a whole number from {least} to {int.MaxValue}";
    }

    public override string ToString() => string.Join(' ', new[] { RequestsWord, TokensWord, ConcurrentWord, PriorityWord }
        .Where(name => Of(name) is not null).Select(name => string.Create(CultureInfo.InvariantCulture, $"{name}={Of(name)}")));

    public KeyLimits With(string name, int value) => name switch
    {
        RequestsWord => this with { RequestsPerMinute = value },
        TokensWord => this with { TokensPerMinute = value },
        ConcurrentWord => this with { Concurrent = value },
        _ => this with { PriorityFloor = value },
    };

    int? Of(string name) => name switch
    {
        RequestsWord => RequestsPerMinute,
        TokensWord => TokensPerMinute,
        ConcurrentWord => Concurrent,
        _ => PriorityFloor,
    };
}
