using LlamaCluster.Testing;
using LlamaCluster.Worker.KvDisk;

namespace LlamaCluster.Worker.Tests.KvDisk;

public sealed class KvFoldersTests : IDisposable
{
    readonly TempFolder _folder = new();

    [Fact]
    public void RemoveOthers_TakesFoldersOfWorkersThatAreNoMore_AndNothingElse()
    {
        foreach (var name in new[] { "worker-1", "worker-2", "worker-3" }) Make(name);
        foreach (var name in new[] { "photos", "worker-4", "worker-5" })
        {
            Make(name);
            File.WriteAllText(_folder.File($"{name}/notes.txt"), "mine");
        }
        Directory.CreateDirectory(_folder.File("empty"));
        Directory.CreateDirectory(_folder.File("worker-6/sub"));
        File.WriteAllText(_folder.File("worker.lock"), "");
        using var used = KvFolder.Open(_folder.File("worker-2"), 1000, TimeProvider.System);
        Assert.Equal([_folder.File("worker-3")], KvFolders.RemoveOthers(_folder.Path, new HashSet<string> { "worker-1" }));
        Assert.Equal(
            ["empty", "photos", "worker-1", "worker-2", "worker-4", "worker-5", "worker-6", "worker.lock"],
            Directory.GetFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Empty(KvFolders.RemoveOthers(_folder.File("nowhere"), new HashSet<string>()));
    }

    public void Dispose() => _folder.Dispose();

    void Make(string name)
    {
        using var folder = KvFolder.Open(_folder.File(name), 1000, TimeProvider.System);
        File.WriteAllText(Path.Combine(folder.Use(new ShardIdentity("a")).FullName, "000000.kv"), "blocks");
    }
}
