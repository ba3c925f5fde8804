using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using LlamaCluster.Sessions.Tests.Storage;

namespace LlamaCluster.Sessions.Tests;

/// <summary>
/// Run by itself (not by the test host) this assembly commits turns to a session until it is killed, and writes the number of each that is stored; see
/// <see cref="CrashTests"/>.
/// </summary>
static class Program
{
    static async Task Main(string[] args)
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
