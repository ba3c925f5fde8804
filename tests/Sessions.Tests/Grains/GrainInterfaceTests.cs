using LlamaCluster.Sessions.Grains;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using Orleans.Serialization.Serializers;

namespace LlamaCluster.Sessions.Tests.Grains;

/// <summary>A parameter without a serializer would make every method of its grain fail, and only when it is called.</summary>
public sealed class GrainInterfaceTests
{
    public static TheoryData<string> Methods =>
    [
        .. from type in typeof(ISessionGrain).Assembly.GetTypes()
           where type.IsInterface && typeof(IGrain).IsAssignableFrom(type)
           from method in type.GetMethods()
           select $"{type.FullName} {method.Name}",
    ];

    [Theory]
    [MemberData(nameof(Methods))]
    public void Everything_that_a_grain_takes_and_gives_has_a_serializer(string name)
    {
        var (type, method) = (name.Split(' ')[0], name.Split(' ')[1]);
        using var services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var codecs = services.GetRequiredService<ICodecProvider>();
        var called = typeof(ISessionGrain).Assembly.GetType(type)!.GetMethod(method)!;
        var result = called.ReturnType.IsGenericType ? called.ReturnType.GenericTypeArguments : [];
        var without = called.GetParameters().Select(parameter => parameter.ParameterType).Concat(result)
            .Where(used => used != typeof(CancellationToken) && codecs.TryGetCodec(used) is null);
        Assert.Empty(without);
    }

    [Fact]
    public void There_are_grains()
        => Assert.Contains(
            $"{typeof(ISessionGrain).FullName} {nameof(ISessionGrain.BeginTurnAsync)}",
            ((IEnumerable<object[]>)Methods).Select(row => (string)row[0]));
}
