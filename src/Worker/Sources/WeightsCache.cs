using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Parts of tensors that were fetched, on disk. A file is ROOT/DIGEST/TENSOR.FIRST-COUNT (rows), with another .FIRST-COUNT (columns) if the rows
/// are not whole. Workers of one machine may share a root. A file is read through and checked before it is used again. A damaged one is deleted.
/// </summary>
sealed partial class WeightsCache(string root, TimeProvider time, ILogger<WeightsCache> logger)
{
    public const string TemporarySuffix = ".part";

    /// <summary>A temporary file that was not written to for so long was left behind by a worker that died.</summary>
    static readonly TimeSpan Abandoned = TimeSpan.FromDays(1);

    public string FolderOf(string digest) => ModelIdentity.IsDigest(digest)
        ? Path.Combine(root, digest)
        : throw new ArgumentException($"{digest} is not a digest", nameof(digest));

    /// <summary>The part, if it is here and whole. Reads all of it.</summary>
    public CachedTensor? TryOpen(string digest, TensorPart part, CancellationToken cancellation)
    {
        var path = PathOf(digest, part);
        if (!File.Exists(path)) return null;
        var cached = CachedTensor.Open(path, part);
        try
        {
            if (cached.FirstProblem(cancellation) is not { } problem) return cached;
            LogDamaged(path, problem);
        }
        catch
        {
            cached.Dispose();
            throw;
        }
        cached.Dispose();
        File.Delete(path);
        return null;
    }

    public CacheWriter Create(string digest, TensorPart part)
    {
        Directory.CreateDirectory(FolderOf(digest));
        return new CacheWriter(PathOf(digest, part), part);
    }

    /// <summary>Bytes that can still be written where the cache is.</summary>
    public long FreeBytes(string digest)
    {
        Directory.CreateDirectory(FolderOf(digest));
        return new DriveInfo(Path.GetFullPath(root)).AvailableFreeSpace;
    }

    /// <summary>Removes what workers that died left half-written.</summary>
    public void RemoveAbandoned(string digest)
    {
        var folder = new DirectoryInfo(FolderOf(digest));
        if (!folder.Exists) return;
        foreach (var file in folder.EnumerateFiles($"*{TemporarySuffix}").Where(file => time.GetUtcNow() - file.LastWriteTimeUtc > Abandoned))
            file.Delete();
    }

    string PathOf(string digest, TensorPart part)
    {
        var columns = part.HasWholeRows ? "" : $".{part.FirstColumn}-{part.ColumnCount}";
        return Path.Combine(FolderOf(digest), $"{part.Tensor.Name}.{part.FirstRow}-{part.RowCount}{columns}");
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cached weights {Path} are damaged ({Problem}): fetching them again")]
    partial void LogDamaged(string path, string problem);
}
