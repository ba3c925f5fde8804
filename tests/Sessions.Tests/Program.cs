using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Sessions.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Sessions.Tests;

/// <summary>
/// Run by itself (not by the test host) this assembly commits turns to a session until it is killed, and writes the number of each that is stored; see
/// <see cref="CrashTests"/>. With "serve" and a Redis it is a silo that can be killed.
/// </summary>
static class Program
{
    static Task Main(string[] args) => args is ["serve", var url] ? ServeAsync(url) : CommitAsync(args);

    /// <summary>Makes a session in Redis, writes its id, and waits to be killed.</summary>
    static async Task ServeAsync(string url)
    {
        StatePlace.TryParse(url, out var place, out _);
        await using var directory = new SessionDirectory(new SessionsOptions(), place!, TimeProvider.System, NullLoggerFactory.Instance);
        Console.WriteLine((await directory.CreateAsync(new SessionState(), default)).Session!.Id);
        await new TaskCompletionSource().Task;
    }

    static async Task CommitAsync(string[] args)
    {
        using var file = SqliteStateFile.Open(args[0]);
        var storage = new SqliteGrainStorage(file, new StateSerializer());
        var catalog = new SqliteSessionCatalog(file);
        var grain = new Stored<SessionState>();
        await storage.ReadStateAsync(SessionRules.Store, CrashTests.Session, grain);
        for (var turn = grain.RecordExists ? grain.State.Epoch + 1 : 1; ; turn++)
        {
            grain.State = CrashTests.AfterTurn(turn);
            await storage.WriteStateAsync(SessionRules.Store, CrashTests.Session, grain);
            Console.WriteLine(turn);
            await catalog.PutAsync(grain.State.ToEntry("crash"));
        }
    }
}
