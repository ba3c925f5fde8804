using LlamaCluster.Testing;

namespace LlamaCluster.Architecture.Tests;

/// <summary>The projects and source files of the repository, as text.</summary>
static class SourceTree
{
    public static IEnumerable<string> ProjectFiles(string folder) => Directory
        .EnumerateFiles(Path.Combine(SharedFiles.Repository, folder), "*.csproj", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal);

    /// <summary>C# files below the folders, without what the build generates.</summary>
    public static IEnumerable<string> SourceFiles(params string[] folders) => folders
        .Select(folder => Path.Combine(SharedFiles.Repository, folder))
        .Where(Directory.Exists)
        .SelectMany(folder => Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
        .Where(file => !file.Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin"))
        .Order(StringComparer.Ordinal);

    public static string Relative(string file) => Path.GetRelativePath(SharedFiles.Repository, file);
}
