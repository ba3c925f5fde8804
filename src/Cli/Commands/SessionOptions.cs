using System.CommandLine;
using System.Globalization;
using LlamaCluster.Sessions;

namespace LlamaCluster.Cli.Commands;

/// <summary>How sessions are kept; options of `up` and `coordinator`.</summary>
sealed class SessionOptions
{
    const string Never = "never";

    static readonly SessionsOptions Defaults = new();

    static readonly (string Unit, TimeSpan Length)[] Units =
        [("d", TimeSpan.FromDays(1)), ("h", TimeSpan.FromHours(1)), ("m", TimeSpan.FromMinutes(1)), ("s", TimeSpan.FromSeconds(1))];

    readonly Option<string?> _state = new("--state")
    {
        HelpName = "redis://HOST:PORT",
        Description = "a Redis server that keeps the sessions; without it a file in the data folder does",
    };

    readonly Option<string> _timeToLive = new("--session-ttl")
    {
        HelpName = "TIME",
        Description = "a session ends so long after it was last used, such as 30d, 12h or 90m; never: not at all",
        DefaultValueFactory = _ => "30d",
    };

    readonly Option<bool> _waits = EnumOption.Create(
        "--session-conflict", $"a turn of a session that has one under way: wait for that one, {Defaults.TurnWait.TotalSeconds:0} s at most, or be rejected (409)",
        ("wait", true), ("reject", false));

    readonly Option<int> _perClient = new("--sessions-per-client")
    {
        HelpName = "N",
        Description = "sessions that one client may have; more are answered 429",
        DefaultValueFactory = _ => Defaults.MostPerClient,
    };

    public IEnumerable<Option> All => [_state, _timeToLive, _waits, _perClient];

    /// <exception cref="Coordinator.InvalidOptionsException">A time cannot be read.</exception>
    public SessionsOptions Read(ParseResult parsed) => Defaults with
    {
        State = parsed.GetValue(_state),
        TimeToLive = ReadTime(parsed.GetRequiredValue(_timeToLive)),
        WaitForTurns = parsed.GetValue(_waits),
        MostPerClient = parsed.GetValue(_perClient),
    };

    static TimeSpan? ReadTime(string text)
    {
        if (text == Never) return null;
        foreach (var (unit, length) in Units)
            if (text.EndsWith(unit, StringComparison.Ordinal) && int.TryParse(text[..^unit.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count is > 0 and < 1_000_000)
                return length * count;
        throw new Coordinator.InvalidOptionsException($"--session-ttl is '{text}'; it must be a time such as 30d, 12h, 90m or 45s, or {Never}");
    }
}
