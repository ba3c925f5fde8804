using Xunit;

namespace LlamaCluster.Testing.Npm;

/// <summary>A test that runs an npm client. Without Node.js, npm or a registry it is reported as not run, with the reason.</summary>
public sealed class NodeFactAttribute : FactAttribute
{
    public NodeFactAttribute()
    {
        var hasNode = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "node")));
        if ((hasNode ? NodePackages.Installed.NotRun : "Node.js is not on the PATH") is { } reason) Skip = $"not run: {reason}";
    }
}
