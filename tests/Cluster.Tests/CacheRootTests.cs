using LlamaCluster.Testing;

namespace LlamaCluster.Cluster.Tests;

public sealed class CacheRootTests : IDisposable
{
    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Find_XdgCacheHome_IsTheFirstChoice()
    {
        var found = CacheRoot.Find(Places() with { CacheHome = Made("xdg") });
        Assert.Equal((Path.Combine(_folder.File("xdg"), "llamacluster"), ""), (found.Folder, found.Why));
        Assert.Equal((Path.Combine(found.Folder, "weights"), Path.Combine(found.Folder, "profiles")), (found.Weights, found.Profiles));
        Assert.Empty(Directory.GetFileSystemEntries(found.Folder));
    }

    [Fact]
    public void Find_OfAUserWithAHome_IsItsCacheFolder_AlsoIfThereWasNone()
    {
        var found = CacheRoot.Find(Places());
        Assert.Equal((Path.Combine(_folder.File("home"), ".cache", "llamacluster"), ""), (found.Folder, found.Why));
    }

    [Theory]
    [InlineData("", "there is no home folder")]
    [InlineData("/nonexistent", "/nonexistent does not exist")]
    [InlineData("home", "home is not a full path")]
    public void Find_WithoutAHome_IsTheSystemsFolder_AndSaysWhy(string home, string why)
    {
        var found = CacheRoot.Find(Places() with { Home = home });
        Assert.Equal(Path.Combine(_folder.File("system"), "llamacluster"), found.Folder);
        Assert.Contains(why, found.Why);
    }

    [Fact]
    public void Find_ACacheFolderThatCannotBeWrittenTo_IsPassedOver()
    {
        File.WriteAllText(_folder.File("file"), "");   // nothing can be made below a file, whoever the user is
        var found = CacheRoot.Find(Places() with { CacheHome = _folder.File("file"), Home = Made("bad-home") });
        Assert.Equal(Path.Combine(_folder.File("bad-home"), ".cache", "llamacluster"), found.Folder);
        Assert.Contains("XDG_CACHE_HOME is", found.Why);

        File.WriteAllText(Path.Combine(Made("other-home"), ".cache"), "");
        Assert.Equal(Path.Combine(_folder.File("system"), "llamacluster"), CacheRoot.Find(Places() with { Home = _folder.File("other-home") }).Folder);
    }

    [Theory]
    [InlineData("relative/caches")]
    [InlineData(".")]
    public void Find_ARelativeCacheHome_IsNotUsed(string relative)
        => Assert.Equal(Path.Combine(_folder.File("home"), ".cache", "llamacluster"), CacheRoot.Find(Places() with { CacheHome = relative }).Folder);

    [Fact]
    public void Find_WithNothingElse_IsAFolderOfTheUsersOwnAmongTemporaryFiles()
    {
        var found = CacheRoot.Find(Nowhere() with { User = "svc llama/.." });
        Assert.Equal(Path.Combine(_folder.File("tmp"), "llamacluster-svcllama"), found.Folder);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(found.Folder));
        Assert.Equal(found.Folder, CacheRoot.Find(Nowhere() with { User = "svc llama/.." }).Folder);
    }

    [Fact]
    public void Find_ATemporaryFolderThatLeadsElsewhere_IsNotTrusted()
    {
        Directory.CreateSymbolicLink(Path.Combine(Made("tmp"), "llamacluster-me"), Made("elsewhere"));
        var found = CacheRoot.Find(Nowhere() with { User = "me" });
        Assert.Empty(Directory.GetFileSystemEntries(_folder.File("elsewhere")));
        Assert.NotEqual(Path.Combine(_folder.File("tmp"), "llamacluster-me"), found.Folder);
        Assert.Contains("is not this user's alone", found.Why);
        Directory.Delete(found.Folder, recursive: true);
    }

    CachePlaces Places() => new(null, Made("home"), Made("system"), Made("tmp"), "me");

    CachePlaces Nowhere() => Places() with { Home = "/nonexistent", System = "" };

    string Made(string name) => Directory.CreateDirectory(_folder.File(name)).FullName;
}
