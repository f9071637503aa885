"""Which object owns which, so that the garbage collector takes what was made for one that is gone."""

from tuneloop_operator.api.kinds import Kind, Object


def owner_reference(kind: Kind, name: str, uid: str) -> Object:
    """Of the object's controller. Without blockOwnerDeletion, which would need rights on finalizers."""
    return {"apiVersion": kind.api_version, "kind": kind.name, "name": name, "uid": uid, "controller": True}


def controller_of(body: Object) -> Object:
    """The reference to the object's controller; {} where it has none."""
    return next((owner for owner in body["metadata"].get("ownerReferences", []) if owner.get("controller")), {})
