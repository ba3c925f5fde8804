using LlamaCluster.Testing.Models;

namespace LlamaCluster.Testing;

/// <summary>
/// Files that tests read: the repository's own (models/demo, tests/Fixtures), which are always there, and others of the folder
/// "shared" beside the repository (or at LLAMACLUSTER_SHARED), which may be missing.
/// </summary>
public static class SharedFiles
{
    public static string Repository { get; } = FindRepository();

    public static string Demo(string name) => Path.Combine(Repository, "models", "demo", name);

    public static string Fixture(string name) => Path.Combine(Repository, "tests", "Fixtures", name);

    /// <summary>
    /// The full path of a file such as models/stories260K.gguf: in the repository, else in tests/Fixtures, else in the shared folder, where it may
    /// be missing.
    /// </summary>
    public static string Shared(string relative)
    {
        if (relative == DemoF16.Name) return DemoF16.Path;
        var own = new[] { Path.Combine(Repository, relative), Fixture(relative) }.FirstOrDefault(File.Exists);
        return own ?? Path.Combine(Environment.GetEnvironmentVariable("LLAMACLUSTER_SHARED") ?? Path.Combine(Repository, "..", "shared"), relative);
    }

    static string FindRepository()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "LlamaCluster.sln"))) return folder.FullName;
        throw new InvalidOperationException($"LlamaCluster.sln is in no folder above {AppContext.BaseDirectory}");
    }
}
