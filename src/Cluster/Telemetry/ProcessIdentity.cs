using OpenTelemetry.Resources;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>Which process of the cluster something was measured in.</summary>
/// <param name="Role">"coordinator" or "worker".</param>
/// <param name="Name">Tells it from others of its role; "": nothing does but its address.</param>
public sealed record ProcessIdentity(string Role, string Name = "")
{
    /// <summary>The attributes of everything that it exports. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count for more.</summary>
    internal ResourceBuilder ToResource() => ResourceBuilder.CreateEmpty()
        .AddTelemetrySdk()
        .AddService(
            $"llamacluster-{Role}", serviceNamespace: "llamacluster", typeof(ProcessIdentity).Assembly.GetName().Version?.ToString(3),
            autoGenerateServiceInstanceId: Name.Length == 0, Name.Length == 0 ? null : Name)
        .AddEnvironmentVariableDetector();
}
