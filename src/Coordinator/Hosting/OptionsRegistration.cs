using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>Registers the caller's options with their validators. The host does not start with a value out of range.</summary>
static class OptionsRegistration
{
    public static IServiceCollection AddValidated(this IServiceCollection services, CoordinatorOptions options)
    {
        services.AddOptions<CoordinatorOptions>().ValidateOnStart();
        return services
            .AddSingleton<IValidateOptions<ApiOptions>, ApiOptionsValidator>()
            .AddSingleton<IValidateOptions<EngineOptions>, EngineOptionsValidator>()
            .AddSingleton<IValidateOptions<ClusterDeadlines>, ClusterDeadlinesValidator>()
            .AddSingleton<IValidateOptions<CoordinatorOptions>, CoordinatorOptionsValidator>()
            .AddSingleton<IOptionsFactory<CoordinatorOptions>>(provider => new Given(options, provider.GetServices<IValidateOptions<CoordinatorOptions>>()))
            .AddSingleton(provider => provider.GetRequiredService<IOptions<CoordinatorOptions>>().Value)
            .AddSingleton(provider => provider.GetRequiredService<CoordinatorOptions>().Api)
            .AddSingleton(provider => provider.GetRequiredService<CoordinatorOptions>().Engine)
            .AddSingleton(provider => provider.GetRequiredService<CoordinatorOptions>().Deadlines);
    }

    /// <summary>The options are an immutable record that is complete when the host is created, so there is nothing to configure, only to validate.</summary>
    sealed class Given(CoordinatorOptions options, IEnumerable<IValidateOptions<CoordinatorOptions>> validators)
        : OptionsFactory<CoordinatorOptions>([], [], validators)
    {
        protected override CoordinatorOptions CreateInstance(string name) => options;
    }
}
