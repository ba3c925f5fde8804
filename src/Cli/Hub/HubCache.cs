using System.Text.Json;
using LlamaCluster.Cluster.Hub;

namespace LlamaCluster.Cli.Hub;

/// <summary>
/// A repository's files on this machine, in the form that the hub's own programs share: content in <c>blobs/HASH</c>, and in
/// <c>snapshots/COMMIT</c> a link of the file's name to it. A model that was pulled before by another program is found, and one that is pulled here is
/// found by others.
/// </summary>
sealed class HubCache(HubReference reference, string root)
{
    /// <summary>What a file that is not whole yet ends with.</summary>
    const string Partial = ".incomplete";

    readonly string _folder = Path.Combine(root, $"models--{reference.Repository.Replace("/", "--", StringComparison.Ordinal)}");

    string Blobs => Path.Combine(_folder, "blobs");

    /// <summary>Where it is noted what a reference came to, so that it needs no hub the next time.</summary>
    string Note => Path.Combine(_folder, ".llamacluster", $"{reference.Revision.Replace('/', '-')}--{reference.Variant?.Replace('/', '-') ?? "usual"}.json");

    public string BlobOf(HubFile file) => Path.Combine(Blobs, file.Hash);

    public string PartialOf(HubFile file) => BlobOf(file) + Partial;

    string Snapshots => Path.GetFullPath(Path.Combine(_folder, "snapshots"));

    public string PathOf(string commit, string name) => Path.GetFullPath(Path.Combine(Snapshots, commit, name));

    /// <summary>The commit that a path of this cache is of, and the folder that has the repository's files of it.</summary>
    public (string Commit, string Folder) SnapshotOf(string path)
    {
        var commit = Path.GetRelativePath(Snapshots, path).Split(Path.DirectorySeparatorChar)[0];
        return (commit, Path.Combine(Snapshots, commit));
    }

    /// <summary>Whether a file is there, whole. Its hash was looked at when it came.</summary>
    public bool Has(string commit, HubFile file) => IsWhole(BlobOf(file), file.Size) || IsWhole(PathOf(commit, file.Name), file.Size);

    /// <summary>Bytes of a file that are still to come.</summary>
    public long MissingOf(string commit, HubFile file)
    {
        if (Has(commit, file)) return 0;
        var partial = new FileInfo(PartialOf(file));
        return Math.Max(0, file.Size - (partial.Exists ? partial.Length : 0));
    }

    public void MakeFolders() => Directory.CreateDirectory(Blobs);

    /// <exception cref="HubException">The disk has no room for what is missing.</exception>
    public void CheckRoom(long missing)
    {
        var free = new DriveInfo(Path.GetFullPath(_folder)).AvailableFreeSpace;
        if (missing > free)
            throw new HubException($"{reference}: {missing} bytes are to be fetched, and {_folder} has room for {free}: "
                + "free some, or set HF_HUB_CACHE to another folder");
    }

    /// <summary>Puts names to the files of a commit, and notes what the reference came to.</summary>
    public void Link(string commit, HubChoice choice)
    {
        foreach (var file in choice.Files) Link(PathOf(commit, file.Name), BlobOf(file));
        var branch = Path.Combine(_folder, "refs", reference.Revision);
        Write(branch, commit);
        var files = choice.Files.Select(file => new { name = file.Name, size = file.Size });
        Write(Note, JsonSerializer.Serialize(new { commit, model = choice.Model, files }));
    }

    /// <summary>The model that the reference came to when it was pulled, if it is still there as a whole.</summary>
    public string? Find()
    {
        try
        {
            if (!File.Exists(Note)) return null;
            using var note = JsonDocument.Parse(File.ReadAllBytes(Note));
            var commit = note.RootElement.GetProperty("commit").GetString()!;
            var isWhole = note.RootElement.GetProperty("files").EnumerateArray()
                .All(file => IsWhole(PathOf(commit, file.GetProperty("name").GetString()!), file.GetProperty("size").GetInt64()));
            return isWhole ? PathOf(commit, note.RootElement.GetProperty("model").GetString()!) : null;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            return null;   // a note that cannot be read is as good as none
        }
    }

    static bool IsWhole(string path, long size)
    {
        if (!File.Exists(path)) return false;
        using var file = File.Open(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return file.Length == size;
    }

    static void Link(string path, string blob)
    {
        if (!File.Exists(blob)) return;
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        if (new FileInfo(path).LinkTarget is not null || File.Exists(path)) File.Delete(path);
        try
        {
            File.CreateSymbolicLink(path, Path.GetRelativePath(folder, blob));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            File.Move(blob, path);   // a file system without links
        }
    }

    static void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var partial = $"{path}.{Guid.NewGuid():N}";
        File.WriteAllText(partial, text);
        File.Move(partial, path, overwrite: true);
    }
}
