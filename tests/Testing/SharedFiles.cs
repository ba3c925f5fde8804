namespace LlamaCluster.Testing;

/// <summary>
/// Files that tests read: the repository's own (models/demo, tests/Fixtures), which are always there, and those of the folder
/// "shared" beside the repository (or at LLAMACLUSTER_SHARED), which may not be.
/// </summary>
public static class SharedFiles
{
    public static string Repository { get; } = FindRepository();

    public static string Demo(string name) => Path.Combine(Repository, "models", "demo", name);

    public static string Fixture(string name) => Path.Combine(Repository, "tests", "Fixtures", name);

    /// <summary>The full path of a file of the shared folder, whether it exists or not.</summary>
    public static string Shared(string relative) => Path.Combine(
        Environment.GetEnvironmentVariable("LLAMACLUSTER_SHARED") ?? Path.Combine(Repository, "..", "shared"), relative);

    static string FindRepository()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "LlamaCluster.sln"))) return folder.FullName;
        throw new InvalidOperationException($"LlamaCluster.sln is in no folder above {AppContext.BaseDirectory}");
    }
}
