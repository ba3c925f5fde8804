namespace LlamaCluster.Coordinator.Adapters;

/// <summary>
/// The folders that adapters may be loaded from while the coordinator runs.
/// What a path comes to counts, links followed, also of the files of an adapter's folder.
/// </summary>
sealed class AdapterFolders
{
    /// <summary>Links that are followed for one path; as many as Linux does.</summary>
    const int MostLinks = 40;

    readonly string[] _folders;

    /// <param name="folders">As the operator gave them. They are looked up once.</param>
    /// <exception cref="IOException">One is a link that leads nowhere.</exception>
    public AdapterFolders(IReadOnlyList<string> folders) => _folders = [.. folders.Select(folder => Resolve(Path.GetFullPath(folder)))];

    /// <summary>Finds an adapter in one of the folders.</summary>
    /// <param name="path">Whole, or from one of the folders on.</param>
    /// <returns>Where it is. Null: nowhere in these folders; nothing is told of what is elsewhere.</returns>
    public string? Find(string path) => path.Contains('\0')
        ? null
        : _folders.Select(folder => FindWhole(Path.GetFullPath(path, folder))).FirstOrDefault(found => found is not null);

    string? FindWhole(string path)
    {
        try
        {
            var found = Resolve(path);
            if (!IsWithin(found)) return null;
            if (File.Exists(found)) return found;
            return Directory.Exists(found) && Directory.EnumerateFiles(found).All(file => IsWithin(Resolve(file))) ? found : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;   // it cannot be reached
        }
    }

    bool IsWithin(string path) =>
        Array.Exists(_folders, folder =>
            path.StartsWith(Path.EndsInDirectorySeparator(folder) ? folder : folder + Path.DirectorySeparatorChar, StringComparison.Ordinal));

    /// <exception cref="IOException">There are too many links.</exception>
    static string Resolve(string path)
    {
        var links = 0;
        return Resolve(path, ref links);
    }

    /// <summary>The path without links in any part of it. Where nothing is there, it stands as it is.</summary>
    static string Resolve(string path, ref int links)
    {
        var root = Path.GetPathRoot(path)!;
        var resolved = root;
        foreach (var part in path[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            resolved = Path.Combine(resolved, part);
            if (new FileInfo(resolved).LinkTarget is not { } target) continue;
            if (++links > MostLinks) throw new IOException($"{path}: there are too many links in it");
            resolved = Resolve(Path.GetFullPath(target, Path.GetDirectoryName(resolved)!), ref links);
        }
        return resolved;
    }
}
