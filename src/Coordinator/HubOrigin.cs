namespace LlamaCluster.Coordinator;

/// <summary>The repository of a hub that the served model was pulled from.</summary>
/// <param name="Endpoint">For workers that know no hub of their own. Null: not known.</param>
/// <param name="Repository">ORG/REPO.</param>
/// <param name="Commit">40 hex digits.</param>
/// <param name="Folder">Has the repository's files on this machine, under their own names.</param>
public sealed record HubOrigin(Uri? Endpoint, string Repository, string Commit, string Folder)
{
    /// <summary>A file's name in the repository; null if it is not of it.</summary>
    public string? NameOf(string path)
    {
        var name = Path.GetRelativePath(Folder, Path.GetFullPath(path)).Replace(Path.DirectorySeparatorChar, '/');
        return name.StartsWith("../", StringComparison.Ordinal) || Path.IsPathRooted(name) ? null : name;
    }
}
