using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// What Redis itself says of the leases of turns (MONITOR): which was taken, renewed and given back, and when. Two at once are a mistake, unless the silo that
/// held the first was dead by then, which shows in that it never comes again.
/// </summary>
sealed partial class LeaseLog : IAsyncDisposable
{
    static readonly TimeSpan LeaseTime = TimeSpan.FromSeconds(30);

    readonly TcpClient _connection;
    readonly Task _reading;
    readonly Dictionary<string, (string Lease, double At)> _held = [];
    readonly HashSet<string> _dead = [];
    readonly List<string> _mistakes = [];

    LeaseLog(TcpClient connection)
    {
        _connection = connection;
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>Leases that were taken.</summary>
    public int Taken { get; private set; }

    /// <summary>Of these, in place of one whose holder was dead.</summary>
    public int TakenFromTheDead { get; private set; }

    public IReadOnlyList<string> Mistakes => _mistakes;

    public static async Task<LeaseLog> StartAsync(Uri redis)
    {
        var connection = new TcpClient();
        await connection.ConnectAsync(redis.Host, redis.Port);
        await connection.GetStream().WriteAsync("MONITOR\r\n"u8.ToArray());
        return new LeaseLog(connection);
    }

    public async ValueTask DisposeAsync()
    {
        _connection.Close();
        await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _connection.Dispose();
    }

    async Task ReadAsync()
    {
        using var lines = new StreamReader(_connection.GetStream(), Encoding.Latin1);
        while (await lines.ReadLineAsync() is { } line)
            if (Change().Match(line) is { Success: true } change)
                Take(
                    double.Parse(change.Groups["time"].ValueSpan, CultureInfo.InvariantCulture),
                    change.Groups["what"].Value, change.Groups["session"].Value, change.Groups["value"].Value);
    }

    void Take(double at, string what, string session, string value)
    {
        var (lease, since) = _held.GetValueOrDefault(session);
        var before = lease is null ? null : HolderOf(lease);
        switch (what)
        {
            case "SET":
                var holder = HolderOf(value);
                if (lease != value) Taken++;   // else it was asked for again, because the answer was lost
                if (before is not null && at - since > LeaseTime.TotalSeconds) _mistakes.Add($"{at}: {lease} of {session} was held for longer than it lasts");
                else if (before is not null && before != holder)
                {
                    TakenFromTheDead++;
                    _dead.Add(before);
                }
                else if (lease is not null && lease != value) _mistakes.Add($"{at}: {value} of {session} was taken while {lease} was held");
                if (_dead.Contains(holder)) _mistakes.Add($"{at}: {value} of {session} was taken by one that was taken for dead");
                _held[session] = (value, at);
                break;
            case "PEXPIRE":
                if (lease is null) _mistakes.Add($"{at}: a lease of {session} was renewed that nobody held");
                else if (_dead.Contains(before!)) _mistakes.Add($"{at}: {lease} of {session} was renewed by one that was taken for dead");
                else _held[session] = (lease, at);
                break;
            case "DEL":
                if (!_held.Remove(session)) _mistakes.Add($"{at}: a lease of {session} was given back that nobody held");
                else if (_dead.Contains(before!)) _mistakes.Add($"{at}: {lease} of {session} was given back by one that was taken for dead");
                break;
        }
    }

    /// <summary>A lease is its id, its epoch and its holder.</summary>
    static string HolderOf(string lease) => lease.Split(' ')[^1];

    /// <summary>A change that a script made: only those happened.</summary>
    [GeneratedRegex("""^\+(?<time>[0-9.]+) \[\d+ lua\] "(?<what>SET|PEXPIRE|DEL)" "llamacluster/turn/(?<session>[^"]+)"(?: "(?<value>[^"]*)")?""")]
    private static partial Regex Change();
}
