using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Worker.Sources;

/// <summary>How big the cache of weights may get.</summary>
/// <param name="Bytes">Null: as big as leaves a tenth of the disk free, or 32 GiB where that is less.</param>
sealed record CacheLimit(long? Bytes);

/// <summary>The disk that the cache is on.</summary>
readonly record struct DiskSpace(long Free, long Total)
{
    const int Shares = 10;
    const long MostSpared = 32L << 30;

    /// <summary>What the cache leaves free where nobody says how big it may get.</summary>
    public long Spared => Math.Min(Total / Shares, MostSpared);

    public static DiskSpace Of(string folder)
    {
        var drive = new DriveInfo(Path.GetFullPath(folder));
        return new DiskSpace(drive.AvailableFreeSpace, drive.TotalSize);
    }
}

/// <summary>
/// Removes entries of the cache, of whatever model, in the order in which they were last used, until what is to come fits. An entry that any worker
/// of this machine has open is in use and stays. Looks only at folders named by a digest and at files named by a hash: a root that holds other
/// things keeps them.
/// </summary>
/// <param name="limit">Null: see <see cref="CacheLimit"/>.</param>
sealed class CacheEviction(string root, long? limit, DiskSpace disk)
{
    /// <summary>How many entries were removed.</summary>
    public int Removed { get; private set; }

    public long RemovedBytes { get; private set; }

    /// <returns>Null if so many bytes fit now. Else why not, in one line.</returns>
    public string? MakeRoom(long bytes)
    {
        List<Entry> entries = [.. Entries().OrderBy(entry => entry.Used)];
        var used = entries.Sum(entry => entry.Bytes);
        var most = limit ?? used + disk.Free - disk.Spared;
        foreach (var entry in entries)
        {
            if (used - RemovedBytes + bytes <= most) break;
            if (TryRemove(entry.Path)) (Removed, RemovedBytes) = (Removed + 1, RemovedBytes + entry.Bytes);
        }
        used -= RemovedBytes;
        if (limit is not null && bytes > 0 && used + bytes > most)
            return $"{bytes} bytes of weights do not fit in --weights-cache-size {limit}, of which {used} are in use at {root}";
        var free = disk.Free + RemovedBytes;
        return bytes <= free ? null : $"{bytes} bytes of weights do not fit in the {free} free bytes at {root}; --cache names another folder";
    }

    IEnumerable<Entry> Entries() =>
        from folder in new DirectoryInfo(root).EnumerateDirectories()
        where ModelIdentity.IsDigest(folder.Name)
        from file in folder.EnumerateFiles()
        where WeightsCache.IsEntry(file.Name) && file.LinkTarget is null && file.Exists   // another worker may remove entries, too
        select new Entry(file.FullName, file.Length, file.LastAccessTimeUtc);

    /// <summary>An open entry is locked by its readers, so that one that can be opened for oneself alone is in nobody's use.</summary>
    static bool TryRemove(string path)
    {
        try
        {
            using var alone = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.None);
            File.Delete(path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;   // in use, gone already, or another user's
        }
    }

    readonly record struct Entry(string Path, long Bytes, DateTime Used);
}
