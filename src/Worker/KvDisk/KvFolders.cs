using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Worker.KvDisk;

/// <summary>Folders of KV blocks that stand beside each other, one of each worker of a machine.</summary>
public static class KvFolders
{
    /// <summary>
    /// Removes those whose worker is no more, so that they do not keep what they take for ever. Anything else that is in the folder stays: a folder is one of
    /// KV blocks if it has nothing but what a worker puts there. One that a worker uses stays too.
    /// </summary>
    /// <param name="parent">The folder that they are in; it need not exist.</param>
    /// <param name="kept">Names of those that stay.</param>
    /// <returns>The paths of those that are gone.</returns>
    public static IReadOnlyList<string> RemoveOthers(string parent, IReadOnlySet<string> kept)
    {
        if (!Directory.Exists(parent)) return [];
        return [.. new DirectoryInfo(parent).GetDirectories()
            .Where(folder => !kept.Contains(folder.Name) && TryRemove(folder)).Select(folder => folder.FullName)];
    }

    static bool TryRemove(DirectoryInfo folder)
    {
        try
        {
            if (folder.LinkTarget is not null || !IsOfAWorker(folder)) return false;
            using (new FileStream(Path.Combine(folder.FullName, KvFolder.LockFile), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                foreach (var shard in folder.EnumerateDirectories()) shard.Delete(recursive: true);
            folder.Delete(recursive: true);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;   // a worker uses it, or it is not ours to remove
        }
    }

    static bool IsOfAWorker(DirectoryInfo folder) =>
        File.Exists(Path.Combine(folder.FullName, KvFolder.LockFile))
        && folder.EnumerateFileSystemInfos().All(entry => entry is DirectoryInfo shard ? IsOfAShard(shard) : entry.Name == KvFolder.LockFile);

    static bool IsOfAShard(DirectoryInfo folder) =>
        ModelIdentity.IsDigest(folder.Name) && folder.LinkTarget is null
        && folder.EnumerateFileSystemInfos().All(entry => entry is FileInfo && entry.Extension == KvFolder.SegmentSuffix);
}
