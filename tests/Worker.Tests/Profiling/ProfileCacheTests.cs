using LlamaCluster.Testing;
using LlamaCluster.Worker.Profiling;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Tests.Profiling;

public sealed class ProfileCacheTests : IDisposable
{
    static readonly MachineProfile Profile = new(30e9, 200e9, 45e9, 300e9, 2, [new TypePace("Q4_0", 50e9, 200e9)]);

    readonly TempFolder _folder = new();
    readonly LogLines _log = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_was_written_is_read_and_nothing_else_lies_about()
    {
        Cache().Write("key", Profile);

        var read = Assert.IsType<MachineProfile>(Cache().TryRead("key"));
        Assert.Equal(
            (Profile.ReadBytes, Profile.HostReadBytes, 2, Profile.Paces[0]),
            (read.ReadBytes, read.HostReadBytes, read.HostProcessors, Assert.Single(read.Paces)));
        Assert.Equal("key.json", Path.GetFileName(Assert.Single(Directory.GetFiles(_folder.Path))));
        Assert.Null(Cache().TryRead("another"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"ReadBytes":-1,"MultiplyAdds":1,"HostReadBytes":1,"HostProcessors":1,"Paces":[]}""")]
    [InlineData("""{"ReadBytes":1,"MultiplyAdds":1,"HostReadBytes":1,"HostProcessors":1,"Paces":[null]}""")]
    public void A_damaged_file_counts_as_none_and_is_named(string text)
    {
        File.WriteAllText(_folder.File("key.json"), text);

        Assert.Null(Cache().TryRead("key"));
        Assert.Contains("key.json", $"{_log}");
    }

    [Fact]
    public void An_old_file_counts_as_none()
    {
        Cache().Write("key", Profile);
        File.SetLastWriteTimeUtc(_folder.File("key.json"), DateTime.UtcNow - ProfileCache.Longest - TimeSpan.FromHours(1));

        Assert.Null(Cache().TryRead("key"));
    }

    [Fact]
    public void Only_one_has_the_lock()
    {
        using (Assert.IsAssignableFrom<IDisposable>(Cache().TryLock())) Assert.Null(Cache().TryLock());
        using var again = Cache().TryLock();
        Assert.NotNull(again);
    }

    [Fact]
    public void A_folder_that_cannot_be_is_said_and_passed_over()
    {
        File.WriteAllText(_folder.File("file"), "");
        var cache = Cache(_folder.File("file"));

        cache.Write("key", Profile);
        Assert.Null(cache.TryRead("key"));
        Assert.Null(cache.TryLock());
        Assert.Contains("cannot be kept", $"{_log}");
    }

    ProfileCache Cache(string? folder = null)
    {
        using var factory = LoggerFactory.Create(logging => logging.AddProvider(_log));
        return new ProfileCache(folder ?? _folder.Path, TimeProvider.System, factory.CreateLogger<ProfileCache>());
    }
}
