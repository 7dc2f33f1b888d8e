"""A body of Gymnasium's in our scenery: the world of the Ants and Humanoids with goals."""

from __future__ import annotations

import mujoco

from morphzoo.envs.bodies import gymnasium_spec, xml_folder

_TEXTURE = ("builtin", "rgb1", "rgb2", "mark", "markrgb", "width", "height")
_MATERIAL = ("texuniform", "texrepeat", "reflectance", "specular", "shininess")
_HEADLIGHT = ("ambient", "diffuse", "specular")


def gymnasium_world(xml_file: str) -> mujoco.MjSpec:
    """Return one of Gymnasium's worlds: its robot and physics, with our floor, sky and light.

    Args:
        xml_file: as for `gymnasium_body`; the file has one sky, and a geom `floor` with a material.
    """
    spec = gymnasium_spec(xml_file)
    scenery = mujoco.MjSpec.from_file(str(xml_folder() / "scenery.xml"))
    floor = spec.geom("floor")
    material = spec.material(floor.material)
    ground = spec.texture(material.textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)])
    kind = mujoco.mjtTexture.mjTEXTURE_SKYBOX
    sky = next(texture for texture in spec.textures if texture.type == kind)
    _copy(_TEXTURE, scenery.texture("floor"), ground)
    _copy(_TEXTURE, scenery.texture("sky"), sky)
    _copy(_MATERIAL, scenery.material("floor"), material)
    _copy(_HEADLIGHT, scenery.visual.headlight, spec.visual.headlight)
    floor.rgba = [1.0, 1.0, 1.0, 1.0]
    floor.size = [0.0, 0.0, 1.0]  # drawn without end; it is one in any case
    for light in list(spec.lights):
        spec.delete(light)
    spec.worldbody.add_light(
        name="sun",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.0, 0.0, 10.0],
        dir=[-0.25, 0.45, -1.0],
        diffuse=[0.6, 0.6, 0.57],
        specular=[0.2, 0.2, 0.2],
        castshadow=False,
    )
    return spec


def _copy(names: tuple[str, ...], source: object, target: object) -> None:
    """Give some attributes of one thing to another."""
    for name in names:
        setattr(target, name, getattr(source, name))
