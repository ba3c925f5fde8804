namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>A test that runs Prometheus and its tool. Where they are not installed it is reported as not run; .ci/run installs Debian's.</summary>
public sealed class PrometheusFactAttribute : FactAttribute
{
    public PrometheusFactAttribute()
    {
        foreach (var program in new[] { "prometheus", "promtool" })
            if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program))))
                Skip = $"not run: {program} is not on the PATH (Debian: apt-get install prometheus)";
    }
}
