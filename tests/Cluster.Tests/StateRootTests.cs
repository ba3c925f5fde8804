using LlamaCluster.Testing;

namespace LlamaCluster.Cluster.Tests;

public sealed class StateRootTests
{
    [Fact]
    public void It_is_the_first_folder_that_is_given_and_there()
    {
        using var folder = new TempFolder();
        string? Find(params (string Name, string Value)[] set) => StateRoot.Find(name => set.FirstOrDefault(one => one.Name == name).Value);

        Assert.Equal(Path.Combine(folder.Path, ".local/state/llamacluster"), Find(("HOME", folder.Path)));
        Assert.Equal(Path.Combine(folder.Path, "llamacluster"), Find(("XDG_STATE_HOME", folder.Path), ("HOME", "/")));
        Assert.Equal(folder.Path, Find(("STATE_DIRECTORY", $"{folder.Path}:/other"), ("XDG_STATE_HOME", "/")));
        Assert.Equal(Path.Combine(folder.Path, ".local/state/llamacluster"), Find(("XDG_STATE_HOME", "relative"), ("HOME", folder.Path)));
        Assert.Null(Find(("HOME", folder.File("missing"))));
        Assert.Null(Find());
    }
}
