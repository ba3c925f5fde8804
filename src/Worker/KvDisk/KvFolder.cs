using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>
/// The folder of a worker's KV blocks, and how many bytes they may take. Each shard that the worker ever held has a folder in it. Those of other
/// shards than the present one go first, the least recently opened one before the others. One process at a time has the folder. Safe for
/// concurrent use.
/// </summary>
sealed class KvFolder : IDisposable
{
    public const string SegmentSuffix = ".kv";

    public const string LockFile = "worker.lock";

    readonly Lock _guard = new();
    readonly FileStream _lock;
    readonly TimeProvider _time;
    long _used;

    KvFolder(string path, long bytes, FileStream held, TimeProvider time)
    {
        (Path, Bytes, _lock, _time) = (path, bytes, held, time);
        _used = Segments(new DirectoryInfo(path)).Sum(file => file.Length);
    }

    public string Path { get; }

    /// <summary>The most that all segments may take.</summary>
    public long Bytes { get; }

    /// <summary>What the segments take now.</summary>
    public long Used
    {
        get
        {
            lock (_guard) return _used;
        }
    }

    /// <summary>Takes the folder for as long as this process lives.</summary>
    /// <param name="path">Made if it does not exist.</param>
    /// <exception cref="IOException">The folder cannot be written to, or another worker uses it. The message is one line.</exception>
    public static KvFolder Open(string path, long bytes, TimeProvider time)
    {
        try
        {
            Directory.CreateDirectory(path);
            File.Create(System.IO.Path.Combine(path, $".{Guid.NewGuid():N}"), 1, FileOptions.DeleteOnClose).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"--kv-disk: {path} cannot be written to: {ErrorText.Sentence(e.Message)}", e);
        }
        FileStream held;
        try
        {
            held = new FileStream(System.IO.Path.Combine(path, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"--kv-disk: another worker uses {path} ({ErrorText.Sentence(e.Message)}); give each worker a folder of its own", e);
        }
        return new KvFolder(path, bytes, held, time);
    }

    /// <summary>The folder of the shard that the worker holds from now on, which exists then.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public DirectoryInfo Use(ShardIdentity shard)
    {
        var folder = Directory.CreateDirectory(System.IO.Path.Combine(Path, shard.FolderName));
        folder.LastWriteTimeUtc = _time.GetUtcNow().UtcDateTime;
        return folder;
    }

    /// <summary>Makes room for so many bytes more, at the cost of other shards.</summary>
    /// <param name="present">The shard whose segments stay.</param>
    /// <returns>False if they do not fit.</returns>
    public bool TryTake(long bytes, ShardIdentity present)
    {
        lock (_guard)
        {
            if (bytes > Bytes) return false;
            while (_used + bytes > Bytes)
                if (!TryRemoveOther(present)) return false;
            _used += bytes;
            return true;
        }
    }

    /// <summary>So many bytes that were taken are not taken any more.</summary>
    public void GiveBack(long bytes)
    {
        lock (_guard) _used -= bytes;
    }

    public void Dispose() => _lock.Dispose();

    bool TryRemoveOther(ShardIdentity present)
    {
        var others = ShardFolders(new DirectoryInfo(Path)).Where(folder => folder.Name != present.FolderName).OrderBy(folder => folder.LastWriteTimeUtc);
        foreach (var other in others)
        {
            // Deleting a file changes the folder's time, by which it keeps its place among the others.
            var opened = other.LastWriteTimeUtc;
            if (other.EnumerateFiles($"*{SegmentSuffix}").FirstOrDefault() is { } segment)
            {
                _used -= segment.Length;
                segment.Delete();
                other.LastWriteTimeUtc = opened;
                return true;
            }
            other.Delete(recursive: true);
        }
        return false;
    }

    static IEnumerable<DirectoryInfo> ShardFolders(DirectoryInfo root) =>
        root.EnumerateDirectories().Where(folder => ModelIdentity.IsDigest(folder.Name) && folder.LinkTarget is null);

    static IEnumerable<FileInfo> Segments(DirectoryInfo root) => ShardFolders(root).SelectMany(folder => folder.EnumerateFiles($"*{SegmentSuffix}"));
}
