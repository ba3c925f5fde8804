using Xunit;

namespace LlamaCluster.Testing;

/// <summary>A test that measures how fast this machine is, and so is run by hand on a quiet one; reported as not run otherwise.</summary>
public sealed class MeasurementFactAttribute : FactAttribute
{
    const string Variable = "LLAMACLUSTER_MEASURE";

    public MeasurementFactAttribute()
    {
        if (Environment.GetEnvironmentVariable(Variable) is null) Skip = $"not run: it measures, and needs a quiet machine; set {Variable}=1";
    }
}
