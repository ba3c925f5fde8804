using LlamaCluster.Testing;
using LlamaCluster.Testing.Npm;

namespace LlamaCluster.Integration.Tests.Clients;

/// <summary>What keeps tests of npm clients from running, and what does not.</summary>
public sealed class NodePackagesTests
{
    [Fact]
    public void Without_npm_they_are_not_run()
    {
        using var folder = new TempFolder();
        Assert.Equal("npm is not on the PATH", NodePackages.Install(folder.Path, "npm-that-is-not-there").NotRun);
    }

    [NodeFact]
    public void Without_a_registry_they_are_not_run()
    {
        using var folder = new TempFolder();
        Assert.Equal(
            "npm reaches no registry (ENOTCACHED)",
            NodePackages.Install(folder.Path, "npm", "--offline", "--cache", folder.File("empty-cache")).NotRun);
    }

    [NodeFact]
    public void Any_other_failure_of_npm_is_a_failure()
    {
        using var folder = new TempFolder();
        var (_, notRun, failure) = NodePackages.Install(folder.Path, "npm", "--prefix", "/dev/null");
        Assert.Null(notRun);
        Assert.StartsWith("npm install failed", failure);
    }

    [NodeFact]
    public void What_an_npm_left_that_was_killed_is_installed_anew()
    {
        using var folder = new TempFolder();
        var part = Directory.CreateDirectory(folder.File("node_modules/openai")).FullName;
        File.WriteAllText(Path.Combine(part, "package.json"), """{ "name": "openai", "version": "7.57.0" }""");
        NodePackages.Install(folder.Path, "npm", "--offline", "--cache", folder.File("empty-cache"));
        Assert.False(Directory.Exists(part));
    }

    [NodeFact]
    public void What_is_installed_is_left_alone()
        => Assert.Equal(NodePackages.Installed, NodePackages.Install(NodePackages.Installed.Folder, "npm-that-is-not-there"));
}
