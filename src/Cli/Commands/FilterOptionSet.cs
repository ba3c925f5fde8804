using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>What looks at prompts and answers; options of `up` and `coordinator`.</summary>
sealed class FilterOptionSet
{
    public const string GuardName = "--guard";

    readonly bool _startsGuard;
    readonly Option<string?> _guard;

    readonly Option<string[]> _categories = new("--guard-categories")
    {
        HelpName = "S1,S2",
        Description = "categories of Llama Guard 3 that the guard is asked about; without it all of S1 to S14",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [],
    };

    readonly Option<string?> _outputFilter = new("--output-filter")
    {
        HelpName = "URL",
        Description = "a program that gets each window of an answer's text by HTTP POST, and lets it through, blocks or replaces it",
    };

    readonly WordOption<bool> _failure = new(
        "--filter-failure", "what becomes of a request that guard or filter cannot judge: closed: it ends with an error; open: it goes on",
        ("closed", false), ("open", true));

    readonly DurationOption _timeout = new("--filter-timeout", "how long one verdict of guard or filter may take", new FilterOptions().Timeout);

    readonly Option<int> _window = new("--filter-window")
    {
        HelpName = "N",
        Description = "characters of a stream that are held back and judged together; a whole answer is judged at once",
        DefaultValueFactory = _ => new FilterOptions().Window,
    };

    /// <param name="startsGuard">A model can be given, for which a process of its own is started.</param>
    public FilterOptionSet(bool startsGuard) => (_startsGuard, _guard) = (startsGuard, new(GuardName)
    {
        HelpName = startsGuard ? "MODEL|URL" : "URL",
        Description = startsGuard
            ? "judge prompts and answers by Llama Guard 3: a model, for which processes of its own are started, or a server of OpenAI's API that has it"
            : "judge prompts and answers by Llama Guard 3: a server of OpenAI's API that has it, such as another LlamaCluster",
    });

    public IEnumerable<Option> All => [_guard, _categories, _outputFilter, _failure, _timeout, _window];

    /// <summary>The model that a guard is to be started for; null: none.</summary>
    public string? ModelOf(ParseResult parsed) => parsed.GetValue(_guard) is { } given && !IsAddress(given) ? given : null;

    /// <exception cref="InvalidOptionsException">An address is none.</exception>
    public FilterOptions Read(ParseResult parsed) => new()
    {
        Guard = parsed.GetValue(_guard) is not { } guard ? null
            : IsAddress(guard) ? new Uri(guard)
            : _startsGuard ? null
            : throw new InvalidOptionsException($"{GuardName} is '{guard}'; it must be the URL of a server, such as http://127.0.0.1:8090"),
        GuardCategories =
        [
            .. parsed.GetValue(_categories)!.SelectMany(codes => codes.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)),
        ],
        OutputFilter = parsed.GetValue(_outputFilter) is not { } filter ? null
            : IsAddress(filter) ? new Uri(filter)
            : throw new InvalidOptionsException($"--output-filter is '{filter}'; it must be a URL such as http://127.0.0.1:9000/filter"),
        FailsOpen = _failure.In(parsed),
        Timeout = _timeout.In(parsed),
        Window = parsed.GetValue(_window),
    };

    static bool IsAddress(string written) =>
        Uri.TryCreate(written, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps) && uri.Host.Length > 0;
}
