using Xunit;

namespace LlamaCluster.Testing;

/// <summary>A test with files that are larger than what is written to them; reported as not run where the temp folder has no such files.</summary>
public sealed class SparseFactAttribute : FactAttribute
{
    const long Probe = 1L << 30;

    static readonly Lazy<bool> IsSupported = new(TakesNoSpace);

    public SparseFactAttribute()
    {
        if (!IsSupported.Value) Skip = $"not run: the file system of {Path.GetTempPath()} keeps what was never written: it has no sparse files";
    }

    static bool TakesNoSpace()
    {
        using var folder = new TempFolder();
        var drive = new DriveInfo(folder.Path);
        var free = drive.AvailableFreeSpace;
        using var file = File.Create(folder.File("probe"));
        file.SetLength(Probe);
        file.Flush(flushToDisk: true);
        return free - drive.AvailableFreeSpace < Probe / 2;
    }
}
