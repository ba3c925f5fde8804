using Xunit;

namespace LlamaCluster.Testing;

/// <summary>A test that needs a file of <see cref="SharedFiles.Shared"/>. If the file is missing, the test is reported as not run, with the reason.</summary>
public sealed class SharedFactAttribute : FactAttribute
{
    public SharedFactAttribute(string relative)
    {
        if (!File.Exists(SharedFiles.Shared(relative)))
            Skip = $"not run: no {relative} in tests/Fixtures or ../shared (set LLAMACLUSTER_SHARED to the folder that has it)";
    }
}
