using LlamaCluster.Worker.KvDisk;

namespace LlamaCluster.Worker.Tests.KvDisk;

public sealed class KvFolderTests : IDisposable
{
    readonly StoreFiles _files = new();

    [Fact]
    public void Open_AFolderThatAnotherWorkerUses_SaysSoInOneLine()
    {
        using (_files.OpenFolder(1000))
        {
            var problem = Assert.Throws<IOException>(() => _files.OpenFolder(1000)).Message;
            Assert.StartsWith($"--kv-disk: another worker uses {_files.Path} (", problem);
            Assert.EndsWith("; give each worker a folder of its own", problem);
            Assert.DoesNotContain('\n', problem);
        }
        _files.OpenFolder(1000).Dispose();
    }

    [Fact]
    public void Open_WhereNothingCanBeWritten_SaysSoInOneLine()
    {
        var file = Path.Combine(_files.Path, "file");
        File.WriteAllText(file, "");
        var problem = Assert.Throws<IOException>(() => KvFolder.Open(Path.Combine(file, "folder"), 1000, TimeProvider.System)).Message;
        Assert.StartsWith($"--kv-disk: {file}/folder cannot be written to: ", problem);
        Assert.DoesNotContain('\n', problem);
    }

    /// <summary>Whoever may write anywhere, as root does, is stopped by the kernel's own folders only.</summary>
    [Fact]
    public void Open_AFolderThatIsReadOnly_SaysSoInOneLine()
    {
        if (!OperatingSystem.IsLinux()) return;
        var readOnly = "/proc";
        if (Environment.UserName != "root")
        {
            readOnly = _files.Path;
            File.SetUnixFileMode(readOnly, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }
        try
        {
            Assert.StartsWith(
                $"--kv-disk: {readOnly} cannot be written to: ",
                Assert.Throws<IOException>(() => KvFolder.Open(readOnly, 1000, TimeProvider.System)).Message);
        }
        finally
        {
            File.SetUnixFileMode(_files.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public void TryTake_OfOtherThings_LeavesThemAlone()
    {
        var mine = Path.Combine(_files.Path, "mine");
        Directory.CreateDirectory(mine);
        File.WriteAllText(Path.Combine(mine, "notes.kv"), new string('x', 5000));
        using var folder = _files.OpenFolder(1000);
        Assert.Equal(0, folder.Used);
        Assert.True(folder.TryTake(900, new ShardIdentity("a")));
        Assert.False(folder.TryTake(200, new ShardIdentity("a")));
        Assert.True(File.Exists(Path.Combine(mine, "notes.kv")));
    }

    public void Dispose() => _files.Dispose();
}
