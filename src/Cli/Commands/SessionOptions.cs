using System.CommandLine;
using LlamaCluster.Sessions;

namespace LlamaCluster.Cli.Commands;

/// <summary>How sessions are kept; options of `up` and `coordinator`.</summary>
sealed class SessionOptions
{
    static readonly SessionsOptions Defaults = new();

    readonly Option<string?> _state = new("--state")
    {
        HelpName = "redis://HOST:PORT",
        Description = "a Redis server that keeps the sessions, and that coordinators which share it find each other by; "
            + "without it a file in the data folder keeps them",
    };

    readonly DurationOption _timeToLive = new(
        "--session-ttl", "a session ends so long after it was last used; 0 is never", TimeSpan.FromDays(30), orZero: true);

    readonly WordOption<bool> _waits = new(
        "--session-conflict",
        $"a turn of a session that has one under way: wait for that one, {Defaults.TurnWait.TotalSeconds:0} s at most, or be rejected (409)",
        ("wait", true), ("reject", false));

    readonly Option<int> _perClient = new("--sessions-per-client")
    {
        HelpName = "N",
        Description = "sessions that one client may have; more are answered 429",
        DefaultValueFactory = _ => Defaults.MostPerClient,
    };

    readonly Option<int?> _dashboard = new("--orleans-dashboard")
    {
        HelpName = "PORT",
        Description = "show Orleans' own dashboard at this port of this machine only; it has no keys and starts what sessions need at once",
    };

    public IEnumerable<Option> All => [_state, _timeToLive, _waits, _perClient, _dashboard];

    public SessionsOptions Read(ParseResult parsed) => Defaults with
    {
        State = parsed.GetValue(_state),
        TimeToLive = _timeToLive.In(parsed) is { Ticks: > 0 } time ? time : null,
        WaitForTurns = _waits.In(parsed),
        MostPerClient = parsed.GetValue(_perClient),
        OrleansDashboard = parsed.GetValue(_dashboard),
    };
}
