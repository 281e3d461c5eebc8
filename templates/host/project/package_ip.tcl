# SPDX-License-Identifier: MIT-0
# Package the SystemVerilog as an IP for Vivado's catalogue, codesign:rtl:accel:1.0, in build/ip_rtl.
#
#   vivado -mode batch -source rtl/package_ip.tcl
#
# It contains no vendor IP. The sources are copied first, so that the project's own folder stays as rendered. All modules
# go beside accel.sv: the memory files that they read are named from there.

set here [file normalize [file dirname [info script]]]
set root [file dirname $here]
source [file join $root settings.tcl]
source [file join $root link kernel.tcl]

set folder [file join $root build ip_rtl]
file delete -force $folder
set sources {}
foreach name $accel(rtl_sources) {
  lappend sources [file join $folder [file tail $name]]
  file mkdir $folder
  file copy [file join $root $name] [lindex $sources end]
}
set memories {}
foreach name $accel(rtl_memories) {
  lappend memories [file join $folder [string range $name [string length rtl/] end]]
  file mkdir [file dirname [lindex $memories end]]
  file copy [file join $root $name] [lindex $memories end]
}

create_project -force package_ip [file join $root build package_ip] -part $accel(part)
add_files -norecurse $sources
foreach name $memories {
  add_files -norecurse $name
  set_property file_type {Memory Initialization Files} [get_files $name]
}
set_property top accel [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $folder -vendor codesign -library rtl -taxonomy /UserIP -force
set core [ipx::current_core]
set_property name accel $core
set_property version 1.0 $core
set_property core_revision 1 $core
set_property display_name {codesign accelerator} $core
set_property supported_families {zynq Production zynquplus Production} $core
kernel_properties $core user_managed

# Clock and reset are buses too; they are inferred by their names, in most versions without being asked.
foreach {port kind} {ap_clk clock ap_rst_n reset} {
  if {[llength [ipx::get_bus_interfaces $port -of_objects $core]] == 0} {
    ipx::infer_bus_interface $port xilinx.com:signal:${kind}_rtl:1.0 $core
  }
}
ipx::associate_bus_interfaces -clock ap_clk -reset ap_rst_n $core
set interfaces {s_axis s_axi_control}
foreach output $accel(outputs) {
  lappend interfaces [lindex $output 0]
}
foreach interface $interfaces {
  if {[llength [ipx::get_bus_interfaces $interface -of_objects $core]] == 0} {
    error "package_ip: the ports of $interface were not recognised as a bus"
  }
  ipx::associate_bus_interfaces -busif $interface -clock ap_clk $core
}

# Names for the registers; nothing reads them but people and tools that show a register map.
set map [ipx::get_memory_maps s_axi_control -of_objects $core]
if {$map eq ""} {
  set map [ipx::add_memory_map s_axi_control $core]
  set_property slave_memory_map_ref s_axi_control [ipx::get_bus_interfaces s_axi_control -of_objects $core]
}
set block [lindex [ipx::get_address_blocks -of_objects $map] 0]
if {$block eq ""} {
  set block [ipx::add_address_block reg0 $map]
}
set_property range 4096 $block
foreach entry $accel(registers) {
  lassign $entry name offset
  # A user-managed kernel must not have a register named CTRL.
  set register [ipx::add_register [string map {CTRL CONTROL} [string toupper $name]] $block]
  set_property address_offset $offset $register
  set_property size 32 $register
}

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
puts "codesign: packaged in $folder"
