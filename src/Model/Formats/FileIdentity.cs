using LlamaCluster.Kernels;

namespace LlamaCluster.Model.Formats;

/// <summary>By what one sees, without reading it, that a file is still the same.</summary>
/// <param name="Name">Without its folder.</param>
/// <param name="Changed">When it was last written to, in UTC.</param>
/// <param name="Inode">0: not known.</param>
public sealed record FileIdentity(string Name, long Bytes, DateTime Changed, ulong Inode)
{
    /// <exception cref="IOException">There is no such file.</exception>
    public static FileIdentity Of(string path)
    {
        var file = new FileInfo(path);
        return new FileIdentity(file.Name, file.Length, file.LastWriteTimeUtc, FileNumbers.Inode(path));
    }
}
