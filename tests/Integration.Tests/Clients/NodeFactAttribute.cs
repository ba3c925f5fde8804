using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Clients;

/// <summary>A test that runs an npm client; where Node.js or the packages are missing it is reported as not run, with the reason.</summary>
public sealed class NodeFactAttribute : FactAttribute
{
    public const string Folder = "tests/Integration.Tests/Clients";

    public NodeFactAttribute()
    {
        var onPath = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "node")));
        if (!onPath) Skip = "not run: Node.js is not on the PATH";
        else if (!Directory.Exists(Path.Combine(SharedFiles.Repository, Folder, "node_modules")))
            Skip = $"not run: the npm packages are missing (run 'npm install --no-package-lock' in {Folder})";
    }
}
