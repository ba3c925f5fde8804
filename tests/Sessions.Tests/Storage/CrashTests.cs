using System.Diagnostics;
using System.Globalization;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Testing;

namespace LlamaCluster.Sessions.Tests.Storage;

/// <summary>A process that is killed while it commits loses no turn that it had reported as stored, and leaves no file that cannot be read.</summary>
public sealed class CrashTests
{
    const int Kills = 200;

    public static readonly GrainId Session = GrainId.Create("session", "default/crash");

    /// <summary>Long enough to take several pages, and different in each of them after each turn.</summary>
    public static SessionState AfterTurn(long turn) => new()
    {
        Client = "someone",
        Epoch = turn,
        History = new SessionHistory
        {
            Messages = [$$"""{"role":"user","content":"turn {{turn}}"}"""],
            Ids = [.. Enumerable.Range(0, 5000).Select(index => (int)turn + index)],
        },
    };

    [Fact]
    public async Task A_kill_in_the_middle_of_commits_loses_nothing_that_was_committed()
    {
        using var folder = new TempFolder();
        var path = folder.File("sessions.db");
        var random = new Random(1);
        long last = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            last = Math.Max(last, CommitUntilKilled(path, turns: random.Next(1, 6), spin: random.Next(0, 40_000)));
            using var file = SqliteStateFile.Open(path);
            var state = new Stored<SessionState>();
            await new SqliteGrainStorage(file, new StateSerializer()).ReadStateAsync(SessionRules.Store, Session, state);
            Assert.InRange(state.State.Epoch, last, last + 1);
            Assert.Equal(AfterTurn(state.State.Epoch).History.Ids, state.State.History.Ids);
            Assert.Equal("ok", await file.RunAsync(connection =>
            {
                using var check = connection.CreateCommand();
                check.CommandText = "PRAGMA integrity_check";
                return (string)check.ExecuteScalar()!;
            }));
            last = state.State.Epoch;
        }
    }

    /// <returns>The last turn that the process reported as stored.</returns>
    static long CommitUntilKilled(string path, int turns, int spin)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(CrashTests).Assembly.Location, path])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        long last = 0;
        for (var turn = 0; turn < turns; turn++)
            last = long.Parse(
                process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"the process ended by itself: {process.StandardError.ReadToEnd()}"),
                CultureInfo.InvariantCulture);
        Thread.SpinWait(spin);   // somewhere in the next commit
        process.Kill();
        while (process.StandardOutput.ReadLine() is { } line) last = long.Parse(line, CultureInfo.InvariantCulture);
        process.WaitForExit();
        return last;
    }
}
