using System.Globalization;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Parts of tensors that were fetched, on disk. An entry is ROOT/DIGEST/TENSOR.FIRST-COUNT.HASH (rows), with another .FIRST-COUNT (columns) before the
/// hash if the rows are not whole. HASH is that of the bytes in it. So bytes that anyone put there can only have a name of their own, for which no
/// coordinator asks. Workers of one machine may share a root. What stands in the place of an entry and is none is removed, and fetched again.
/// </summary>
sealed partial class WeightsCache(string root, TimeProvider time, ILogger<WeightsCache> logger, CacheLimit? limit = null)
{
    public const string TemporarySuffix = ".part";

    /// <summary>A temporary file that was not written to for so long was left behind by a worker that died.</summary>
    static readonly TimeSpan Abandoned = TimeSpan.FromDays(1);

    public string FolderOf(string digest) => ModelIdentity.IsDigest(digest)
        ? Path.Combine(root, digest)
        : throw new ArgumentException($"{digest} is not a digest", nameof(digest));

    /// <summary>The hashes under which parts of a model are here. Says nothing of what is in the entries.</summary>
    public ILookup<string, string> EntriesOf(string digest)
    {
        var names = Directory.Exists(FolderOf(digest)) ? Directory.EnumerateFileSystemEntries(FolderOf(digest)).Select(Path.GetFileName).OfType<string>() : [];
        return names.Where(IsEntry).ToLookup(name => name[..^(ModelIdentity.DigestLength + 1)], name => name[^ModelIdentity.DigestLength..]);
    }

    /// <summary>What the names of a part's entries begin with, whatever their hashes.</summary>
    public static string NameOf(TensorPart part)
    {
        var columns = part.HasWholeRows ? "" : $".{part.FirstColumn}-{part.ColumnCount}";
        return $"{part.Tensor.Name}.{part.FirstRow}-{part.RowCount}{columns}";
    }

    /// <summary>The parts of a model that there are entries of. Says nothing of what is in them.</summary>
    /// <param name="find">Finds the model's tensors.</param>
    public IReadOnlyList<TensorPart> PartsOf(string digest, Func<string, TensorInfo?> find) =>
        [.. EntriesOf(digest).Select(entry => PartOf(entry.Key, find)).OfType<TensorPart>()];

    /// <summary>The part that <see cref="NameOf"/> makes a name of. Null: none.</summary>
    static TensorPart? PartOf(string name, Func<string, TensorInfo?> find)
    {
        var words = name.Split('.');
        if (words.Length < 2 || RangeOf(words[^1]) is not { } last) return null;
        var (rows, columns, count) = RangeOf(words[^2]) is { } before ? (before, last, 2) : (last, (First: 0, Count: 0), 1);
        if (find(string.Join('.', words[..^count])) is not { } tensor) return null;
        var (part, problem) = TensorPart.Asked(tensor, rows.First, rows.Count, columns.First, columns.Count);
        return problem is null ? part : null;
    }

    static (ulong First, ulong Count)? RangeOf(string word) =>
        word.Split('-') is [var first, var count] && ulong.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var from)
            && ulong.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var many) ? (from, many) : null;

    /// <summary>The part, if there is an entry that says so. Does not read its data, which has to have the hash that the entry is named by.</summary>
    public CachedTensor? TryOpen(string digest, TensorPart part, string hash)
    {
        var path = PathOf(digest, part, hash);
        RemoveWhatIsNoFile(path);
        if (new FileInfo(path) is not { Exists: true } file) return null;
        try
        {
            // By the length before it is opened: a pipe has none, and opening it would wait for a writer.
            var problem = file.Length == part.Bytes + CachedTensor.TrailerBytes ? null : $"{file.Length} bytes, not {part.Bytes + CachedTensor.TrailerBytes}";
            var cached = problem is null ? CachedTensor.Open(path, part, hash) : null;
            problem ??= cached!.TrailerProblem();
            if (problem is null)
            {
                TakeNoteOfUse(file);
                return cached;
            }
            cached?.Dispose();
            Remove(path, problem);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogUnusable(path, e.Message);
        }
        return null;
    }

    public CacheWriter Create(string digest, TensorPart part) => new(
        Path.Combine(ReadyFolder(digest), $"{NameOf(part)}.{Guid.NewGuid():N}{TemporarySuffix}"), part,
        hash =>
        {
            var path = PathOf(digest, part, hash);
            RemoveWhatIsNoFile(path);
            return path;
        });

    /// <summary>Removes an entry that is open and turned out to be damaged, and closes it.</summary>
    public void Remove(CachedTensor damaged, string problem)
    {
        damaged.Dispose();
        Remove(damaged.Path, problem);
    }

    /// <summary>Makes room for so many bytes, by removing what was not used for longest. What is in use stays.</summary>
    /// <returns>Null if there is room. Else why not, in one line.</returns>
    public string? MakeRoom(string digest, long bytes)
    {
        ReadyFolder(digest);
        var eviction = new CacheEviction(root, limit?.Bytes, DiskSpace.Of(root));
        var problem = eviction.MakeRoom(bytes);
        if (eviction.Removed > 0) LogEvicted(eviction.Removed, eviction.RemovedBytes, root);
        return problem;
    }

    /// <summary>Removes what workers that died left half-written, and entries of releases that named them by no hash.</summary>
    public void RemoveAbandoned(string digest)
    {
        var folder = new DirectoryInfo(FolderOf(digest));
        if (!folder.Exists) return;
        foreach (var file in folder.EnumerateFiles().Where(file => time.GetUtcNow() - file.LastWriteTimeUtc > Abandoned && !IsEntry(file.Name))) file.Delete();
    }

    /// <summary>Whether a file's name ends with a hash.</summary>
    internal static bool IsEntry(string name) =>
        name.Length > ModelIdentity.DigestLength + 1 && name[^(ModelIdentity.DigestLength + 1)] == '.'
        && ModelIdentity.IsDigest(name[^ModelIdentity.DigestLength..]);

    string PathOf(string digest, TensorPart part, string hash) => Path.Combine(FolderOf(digest), $"{NameOf(part)}.{hash}");

    /// <summary>The model's folder, which exists from then on. A file or a link that leads nowhere is replaced.</summary>
    string ReadyFolder(string digest)
    {
        var folder = FolderOf(digest);
        Directory.CreateDirectory(root);
        if (!Directory.Exists(folder) && (File.Exists(folder) || new FileInfo(folder).LinkTarget is not null)) File.Delete(folder);
        Directory.CreateDirectory(folder);
        return folder;
    }

    /// <summary>A folder or a link, wherever it leads, is no entry and would stay for ever.</summary>
    void RemoveWhatIsNoFile(string path)
    {
        if (new FileInfo(path).LinkTarget is not null)
        {
            File.Delete(path);
            LogDamaged(path, "it is a link");
        }
        else if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
            LogDamaged(path, "it is a folder");
        }
    }

    void TakeNoteOfUse(FileInfo file)
    {
        try
        {
            file.LastAccessTimeUtc = time.GetUtcNow().UtcDateTime;
        }
        catch (UnauthorizedAccessException e)
        {
            LogUseNotNoted(file.FullName, e.Message);   // another user's, in a cache that is shared
        }
    }

    void Remove(string path, string problem)
    {
        LogDamaged(path, problem);
        File.Delete(path);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cached weights {Path} are damaged ({Problem}): fetching them again")]
    partial void LogDamaged(string path, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cached weights {Path} cannot be used and are fetched again: {Problem}")]
    partial void LogUnusable(string path, string problem);

    [LoggerMessage(Level = LogLevel.Debug, Message = "When {Path} was used cannot be noted: {Problem}")]
    partial void LogUseNotNoted(string path, string problem);

    [LoggerMessage(Level = LogLevel.Information, Message = "Removed {Count} weights of {Bytes} bytes from {Folder} that were not used for longest")]
    partial void LogEvicted(int count, long bytes, string folder);
}
