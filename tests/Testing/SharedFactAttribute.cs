using Xunit;

namespace LlamaCluster.Testing;

/// <summary>A test that needs a file of the shared folder; where it is missing the test is reported as not run, with the reason.</summary>
public sealed class SharedFactAttribute : FactAttribute
{
    public SharedFactAttribute(string relative)
    {
        if (!File.Exists(SharedFiles.Shared(relative)))
            Skip = $"not run: no {relative} in ../shared (set LLAMACLUSTER_SHARED to the folder that has it)";
    }
}
